"""tools/check_capi.py: each way in which the two descriptions can differ is named."""

from pathlib import Path

import pytest

from tools.check_capi import UnreadableError, differences, main, read_pxd, read_rust

RUST = """
/// The second argument was a u64 once: gw_take(wheel: *const Wheel, due: u64).
#[no_mangle]
pub unsafe extern "C" fn gw_take(
    wheel: *mut TimerWheel, // a comment, with a comma
    due: *const u8,
    length: usize,
) -> i32 { 0 }

#[no_mangle]
pub extern "C" fn gw_new(now_ms: u64) -> *mut TimerWheel { make(now_ms) }

#[no_mangle]
pub unsafe extern "C" fn gw_free(wheel: *mut TimerWheel, context: *mut std::ffi::c_void) {}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct GwSpan {
    /// Where.
    pub off: u32,
    pub len: i64,
    pub caps: [u32; 4],
}

pub struct NotShared { x: u8 }
"""

PXD = """
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

cdef extern from *:
    \"\"\"
    typedef struct GwWheel GwWheel;
    /* gw_gone(void) was here once */
    GwWheel *gw_new(uint64_t now_ms);
    \"\"\"
    ctypedef struct GwWheel:
        pass
    # A new one: gw_new(int).
    GwWheel *gw_new(uint64_t now_ms) noexcept nogil

ctypedef struct GwSpan:
    uint32_t off  # where
    int64_t len
    uint32_t caps[4]

cdef extern int32_t gw_take(
    GwWheel *wheel, const uint8_t *due, size_t length) noexcept nogil
cdef extern void gw_free(GwWheel *wheel, void *context) noexcept nogil

cdef enum:
    GW_ONE = 1
"""


def test_equal_descriptions_agree() -> None:
    assert differences(RUST, PXD) == []


def test_everything_is_read() -> None:
    """Without this, a description that is not understood would seem to agree."""
    rust, (cython, c_code) = read_rust(RUST), read_pxd(PXD)
    assert set(rust.functions) == set(cython.functions) == {"gw_take", "gw_new", "gw_free"}
    assert set(rust.structs) == {"GwSpan"}
    assert set(cython.structs) == {"GwSpan", "GwWheel"}
    assert set(c_code.functions) == {"gw_new"}
    assert cython.functions["gw_take"].arguments == (
        "*mut GwWheel",
        "*const u8",
        "usize",
    )
    assert cython.structs["GwSpan"] == (
        ("off", "u32"),
        ("len", "i64"),
        ("caps", "[u32; 4]"),
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "size_t length",
            "uint32_t length",
            "gw_take, argument 3: type is 'u32'; in capi.rs 'usi",
        ),
        (
            "const uint8_t *due",
            "uint8_t *due",
            "gw_take, argument 2: type is '*mut u8'; in capi",
        ),
        (
            "GwWheel *wheel, const",
            "const GwWheel *wheel, const",
            "gw_take, argument 1: type is",
        ),
        (", size_t length", "", "gw_take: 2 arguments, 3 in capi.rs"),
        (
            "extern int32_t gw_take",
            "extern int64_t gw_take",
            "gw_take, result: type is 'i64'",
        ),
        ("gw_free", "gw_drop", "gw_free: function is in capi.rs only"),
        ("gw_free", "gw_drop", "gw_drop: function is not in capi.rs"),
        ("int64_t len", "int32_t len", "GwSpan.len: type is 'i32'; in capi.rs 'i64'"),
        (
            "int64_t len",
            "int64_t size",
            "GwSpan: fields are off, size, caps; in capi.rs off, len",
        ),
        (
            "    int64_t len\n",
            "",
            "GwSpan: fields are off, caps; in capi.rs off, len, caps",
        ),
        (
            "caps[4]",
            "caps[5]",
            "GwSpan.caps: type is '[u32; 5]'; in capi.rs '[u32; 4]'",
        ),
        ("struct GwSpan", "struct GwSpam", "GwSpan: struct is in capi.rs only"),
        ("struct GwSpan", "struct GwSpam", "GwSpam: struct is not in capi.rs"),
        (
            "now_ms);",
            "now_ms, int more);",
            "native.pxd, C block: gw_new: 2 arguments, 1 in",
        ),
        ("void *context", "GwWheel *context", "gw_free, argument 2: type is"),
    ],
)
def test_each_difference_is_named(before: str, after: str, expected: str) -> None:
    assert before in PXD
    found = differences(RUST, PXD.replace(before, after))
    assert any(expected in line for line in found), found


def test_a_const_that_is_not_understood_is_an_error() -> None:
    with pytest.raises(UnreadableError, match="write 'const T"):
        differences(RUST, PXD.replace("const uint8_t *due", "uint8_t *const due"))


def test_a_file_without_functions_is_not_taken_for_agreement() -> None:
    assert differences("", PXD) == ["capi.rs: no exported function found; is it the right file?"]


def test_the_project_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "agree" in capsys.readouterr().out


def test_differences_are_printed_and_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rust, pxd = tmp_path / "capi.rs", tmp_path / "native.pxd"
    rust.write_text(RUST)
    pxd.write_text(PXD.replace("size_t length", "int length"))
    assert main([str(rust), str(pxd)]) == 1
    assert "gw_take, argument 3: type is 'i32'" in capsys.readouterr().out

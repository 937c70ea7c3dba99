//! Compiles `cext/*.pyx` into the one shared object (precedent: pyca/cryptography's cffi build).
//!
//! Cython is run by the interpreter that the wheel is built for, so that the Python headers, the
//! Cython version of `build-system.requires` and the ABI always belong together.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directives that hold for every module; a file may add to them but not loosen them.
const DIRECTIVES: &[&str] = &[
    "language_level=3",
    "boundscheck=False",
    "wraparound=False",
    "initializedcheck=False",
    "cdivision=True",
    "always_allow_keywords=False",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=cext");
    println!("cargo:rerun-if-env-changed=PYO3_PYTHON");

    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    let python = interpreter();
    let modules = module_names(&root.join("cext"));
    let staged = stage(&root, &out);

    let mut exports = String::new();
    let mut build = cc::Build::new();
    for include in python_include_dirs(&python) {
        build.include(include);
    }
    build
        .warnings(false)
        .flag_if_supported("-fno-strict-aliasing")
        .flag_if_supported("-fvisibility=hidden")
        .define("CYTHON_CLINE_IN_TRACEBACK", "0");

    for name in &modules {
        println!("cargo:rerun-if-changed=cext/{name}.pyx");
        let c_file = out.join(format!("{name}.c"));
        cythonize(&python, &staged, name, &c_file);
        rename_initialiser(&c_file, name);
        build.file(&c_file);
        write_export(&mut exports, name);
    }
    if !modules.is_empty() {
        build.compile("gateway_cext");
    }
    let quoted: Vec<String> = modules.iter().map(|name| format!("\"{name}\"")).collect();
    writeln!(
        exports,
        "/// Names of the modules under `gateway.cext`.\npub const MODULES: [&str; {}] = [{}];",
        modules.len(),
        quoted.join(", ")
    )
    .expect("writing to a String");
    fs::write(out.join("cython_modules.rs"), exports).expect("OUT_DIR is writable");
}

fn interpreter() -> String {
    pyo3_build_config::get()
        .executable()
        .map(str::to_owned)
        .or_else(|| env::var("PYO3_PYTHON").ok())
        .unwrap_or_else(|| "python3".to_owned())
}

fn module_names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("cext/ is part of the source tree")
        .filter_map(|entry| {
            let path = entry.expect("readable directory").path();
            (path.extension()? == "pyx").then(|| path.file_stem()?.to_str().map(str::to_owned))?
        })
        .collect();
    names.sort();
    names
}

/// Cython takes a module's qualified name from the packages around its file. The sources live in
/// `cext/`, the modules are called `gateway.cext.X`; a link in a staging tree joins the two.
fn stage(root: &Path, out: &Path) -> PathBuf {
    let staged = out.join("cython");
    let package = staged.join("gateway");
    fs::create_dir_all(&package).expect("OUT_DIR is writable");
    fs::write(package.join("__init__.pxd"), "").expect("OUT_DIR is writable");
    let link = package.join("cext");
    if fs::symlink_metadata(&link).is_ok() {
        fs::remove_file(&link).expect("the link is ours");
    }
    std::os::unix::fs::symlink(root.join("cext"), &link).expect("OUT_DIR takes symbolic links");
    staged
}

fn cythonize(python: &str, staged: &Path, name: &str, c_file: &Path) {
    let mut command = Command::new(python);
    command.args(["-m", "cython", "--fast-fail", "-Werror"]);
    for directive in DIRECTIVES {
        command.args(["-X", directive]);
    }
    command
        .arg("-I")
        .arg(staged)
        .args(["--module-name", &format!("gateway.cext.{name}")])
        .arg(staged.join(format!("gateway/cext/{name}.pyx")))
        .arg("-o")
        .arg(c_file);
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("cannot run {python} -m cython: {error}"));
    assert!(
        status.success(),
        "Cython failed on cext/{name}.pyx; is `cython` installed for {python}?"
    );
}

/// One file, one initialiser: a `#define` near its head renames it, which a per-file compiler flag
/// would do as well if `cc` had one. The first line stays first: by it Cython knows that the file is
/// its own and may be written over by the next build.
fn rename_initialiser(c_file: &Path, name: &str) {
    let code = fs::read_to_string(c_file).expect("Cython wrote it");
    let (mark, rest) = code.split_once('\n').expect("more than one line");
    let renamed = format!("{mark}\n#define PyInit_{name} cy_PyInit_{name}\n{rest}");
    fs::write(c_file, renamed).expect("OUT_DIR is writable");
}

fn write_export(exports: &mut String, name: &str) {
    writeln!(
        exports,
        "extern \"C\" {{ fn cy_PyInit_{name}() -> *mut pyo3::ffi::PyObject; }}\n\
         /// # Safety\n/// Called by the import system, with the interpreter attached.\n\
         #[no_mangle]\n#[allow(non_snake_case)]\n\
         pub unsafe extern \"C\" fn PyInit_{name}() -> *mut pyo3::ffi::PyObject {{\n\
         \x20   // SAFETY: the initialiser that Cython generated, called as CPython would.\n\
         \x20   unsafe {{ cy_PyInit_{name}() }}\n}}"
    )
    .expect("writing to a String");
}

fn python_include_dirs(python: &str) -> Vec<String> {
    let script =
        "import sysconfig as s; print(s.get_path('include')); print(s.get_path('platinclude'))";
    let output = Command::new(python)
        .args(["-c", script])
        .output()
        .unwrap_or_else(|error| panic!("cannot run {python}: {error}"));
    assert!(output.status.success(), "{python} has no sysconfig paths");
    let text = String::from_utf8(output.stdout).expect("paths are UTF-8");
    text.lines().map(str::to_owned).collect()
}

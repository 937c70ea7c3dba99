use super::*;
use proptest::prelude::*;

fn canonical(path: &str) -> Result<String, PathError> {
    let bytes = normalize(path.as_bytes(), EncodedSlashes::Reject)?;
    Ok(String::from_utf8(bytes.into_owned()).unwrap())
}

#[track_caller]
fn assert_canonical(path: &str, expected: &str) {
    assert_eq!(canonical(path).as_deref(), Ok(expected), "{path}");
}

#[track_caller]
fn assert_refused(path: &str, expected: PathError) {
    assert_eq!(canonical(path), Err(expected), "{path}");
}

#[test]
fn plain_paths_stay_and_are_not_copied() {
    for path in ["/", "/a", "/a/", "/a/b.c/d", "/a;v=1/b:c@d!$&'()*+,=~_-"] {
        assert!(is_plain(path.as_bytes()), "{path}");
        let same = normalize(path.as_bytes(), EncodedSlashes::Reject);
        assert!(matches!(same, Ok(Cow::Borrowed(_))), "{path}");
    }
}

#[test]
fn escapes_get_one_spelling() {
    assert_canonical("/%61%7e%2D", "/a~-");
    assert_canonical("/%c3%a9", "/%C3%A9");
    assert_canonical("/%3a%21", "/%3A%21");
    assert_canonical("/\"<>^`{|}[]?", "/%22%3C%3E%5E%60%7B%7C%7D%5B%5D%3F");
}

#[test]
fn dot_segments_and_slash_runs_are_resolved() {
    assert_canonical("/a/./b", "/a/b");
    assert_canonical("/a/../b", "/b");
    assert_canonical("/a/b/..", "/a/");
    assert_canonical("/a/.", "/a/");
    assert_canonical("/a//b///", "/a/b/");
    assert_canonical("/a//../b", "/b");
    assert_canonical("/a/%2e%2E/b", "/b");
    assert_canonical("/public/..;/admin", "/admin");
    assert_canonical("/a/.;v=1/b", "/a/b");
    assert_canonical("/a/...", "/a/...");
    assert_canonical("/.well-known/x", "/.well-known/x");
    assert_refused("/..", PathError::AboveRoot);
    assert_refused("/a/../..", PathError::AboveRoot);
    assert_refused("/%2e%2e/etc", PathError::AboveRoot);
}

#[test]
fn bad_bytes_and_escapes_are_refused_by_name() {
    for (path, error) in [
        ("", PathError::NotAbsolute),
        ("a/b", PathError::NotAbsolute),
        ("/%", PathError::BadEscape),
        ("/%4", PathError::BadEscape),
        ("/%+1", PathError::BadEscape),
        ("/%zz", PathError::BadEscape),
        ("/%00", PathError::Nul),
        ("/%0a", PathError::Control),
        ("/%7F", PathError::Control),
        ("/a b", PathError::Control),
        ("/\u{e9}", PathError::Control),
        ("/\0", PathError::Control),
        ("/a\\b", PathError::Backslash),
        ("/a%5cb", PathError::Backslash),
        ("/a%2fb", PathError::EncodedSlash),
        ("/a#b", PathError::Fragment),
        ("/%252e%252e", PathError::DoubleEncoding),
        ("/%25%32%65", PathError::DoubleEncoding),
        ("/%255C", PathError::DoubleEncoding),
        ("/%2500", PathError::DoubleEncoding),
        ("/%c0%af", PathError::NotUtf8),
        ("/%e0%80%af", PathError::NotUtf8),
        ("/%ed%a0%80", PathError::NotUtf8),
        ("/%c3x", PathError::NotUtf8),
        ("/%a9", PathError::NotUtf8),
        ("/%f5%80%80%80", PathError::NotUtf8),
    ] {
        assert_refused(path, error);
    }
}

#[test]
fn kept_encoded_slashes_cannot_hide_dot_segments() {
    let keep = |path: &str| {
        normalize(path.as_bytes(), EncodedSlashes::Keep).map(|bytes| bytes.into_owned())
    };
    assert_eq!(keep("/a%2fb"), Ok(b"/a%2Fb".to_vec()));
    for path in [
        "/a%2F..%2Fb",
        "/..%2fb",
        "/a%2f.",
        "/a%2f..;x",
        "/a%2f..%20%2fb",
        "/%2f%2e%2e",
    ] {
        assert_eq!(keep(path), Err(PathError::EncodedSlash), "{path}");
    }
}

#[test]
fn a_small_buffer_is_an_error_and_not_a_panic() {
    let mut out = [0; 4];
    let into = |path: &[u8], out: &mut [u8]| normalize_into(path, EncodedSlashes::Reject, out);
    assert_eq!(into(b"/abc", &mut out), Ok(4));
    assert_eq!(into(b"/abcd", &mut out), Err(PathError::NoRoom));
    assert_eq!(into(b"/a\"", &mut out), Err(PathError::NoRoom));
}

fn hostile_path() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "/",
        "//",
        ".",
        "..",
        "a",
        ";",
        "%2e",
        "%2F",
        "%5c",
        "%25",
        "2e",
        "%c3%a9",
        "%E2%82%AC",
        "%",
        "{",
        "~",
        "%41",
        "%32",
    ]);
    let pieces = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![
        pieces.prop_map(|text| format!("/{text}").into_bytes()),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #[test]
    fn a_canonical_path_is_its_own_canonical_path(path in hostile_path(), keep: bool) {
        let slashes = if keep { EncodedSlashes::Keep } else { EncodedSlashes::Reject };
        if let Ok(once) = normalize(&path, slashes) {
            prop_assert_eq!(normalize(&once, slashes), Ok(once.clone()));
            prop_assert!(once.len() <= path.len() * MAX_GROWTH);
            prop_assert_eq!(once.first(), Some(&b'/'));
            let segments: Vec<&[u8]> = once[1..].split(|&byte| byte == b'/').collect();
            let (last, inner) = segments.split_last().unwrap();
            prop_assert!(inner.iter().all(|segment| !segment.is_empty()));
            prop_assert!(inner.iter().chain([last]).all(|s| *s != b"." && *s != b".."));
        }
    }

    #[test]
    fn both_entrances_agree(path in hostile_path()) {
        let mut out = vec![0; path.len() * MAX_GROWTH];
        let into = normalize_into(&path, EncodedSlashes::Reject, &mut out);
        let owned = normalize(&path, EncodedSlashes::Reject);
        prop_assert_eq!(into.map(|length| out[..length].to_vec()), owned.map(Cow::into_owned));
    }
}

//! Lookups against the rules of the module's head; `hostile.rs` bounds their cost.

use proptest::prelude::*;

use super::*;
use crate::path::EncodedSlashes;

mod hostile;

const NO_FIELDS: [(&[u8], &[u8]); 0] = [];

fn route(path: &str) -> RouteSpec {
    RouteSpec {
        path: path.to_owned(),
        ..RouteSpec::default()
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn build(specs: &[RouteSpec]) -> RouteTable {
    RouteTable::build(specs, EncodedSlashes::Reject).unwrap()
}

fn table(paths: &[&str]) -> RouteTable {
    build(&paths.iter().map(|path| route(path)).collect::<Vec<_>>())
}

fn get<'a>(
    host: &'a str,
    path: &'a str,
) -> Request<'a, impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone> {
    Request {
        method: b"GET",
        host: host.as_bytes(),
        path: path.as_bytes(),
        query: b"",
        fields: NO_FIELDS.into_iter(),
    }
}

#[track_caller]
fn assert_route(table: &RouteTable, path: &str, expected: Option<usize>) {
    let outcome = expected.map_or(Outcome::NotFound, Outcome::Found);
    assert_eq!(table.find(&get("localhost", path)), outcome, "{path}");
}

#[test]
fn literal_wins_over_param_and_param_over_rest() {
    let table = table(&["/a/{rest...}", "/a/{x}", "/a/b", "/{x}/b", "/a/bc"]);
    assert_route(&table, "/a/b", Some(2));
    assert_route(&table, "/a/bc", Some(4));
    assert_route(&table, "/a/bd", Some(1));
    assert_route(&table, "/a/b/c", Some(0));
    assert_route(&table, "/z/b", Some(3));
    assert_route(&table, "/z/c", None);
}

#[test]
fn the_rest_may_be_missing_but_not_begin_inside_a_segment() {
    let table = table(&["/identity/{path...}"]);
    for path in ["/identity", "/identity/", "/identity/a", "/identity/a/b/"] {
        assert_route(&table, path, Some(0));
    }
    assert_route(&table, "/identityx", None);
    assert_route(&table, "/", None);
    assert_route(&self::table(&["/{path...}"]), "/", Some(0));
}

#[test]
fn a_trailing_slash_is_significant_and_a_param_is_not_empty() {
    let table = table(&["/a", "/b/", "/c/{x}", "/d/{x}/"]);
    assert_route(&table, "/a", Some(0));
    assert_route(&table, "/a/", None);
    assert_route(&table, "/b", None);
    assert_route(&table, "/b/", Some(1));
    assert_route(&table, "/c/", None);
    assert_route(&table, "/c/x/", None);
    assert_route(&table, "/d/x/", Some(3));
}

#[test]
fn the_walk_turns_back_from_a_literal_that_leads_nowhere() {
    let table = table(&["/a/b/c", "/a/{x}/d", "/{y}/b/e", "/{rest...}"]);
    assert_route(&table, "/a/b/c", Some(0));
    assert_route(&table, "/a/b/d", Some(1));
    assert_route(&table, "/a/b/e", Some(2));
    assert_route(&table, "/a/b/f", Some(3));
}

#[test]
fn priority_comes_before_everything() {
    let mut general = route("/{rest...}");
    general.priority = 1;
    let mut exact = route("/a");
    exact.hosts = owned(&["localhost"]);
    assert_route(&build(&[exact, general]), "/a", Some(1));
}

#[test]
fn hosts_are_exact_then_longest_suffix_then_any() {
    let on = |hosts: &[&str]| RouteSpec {
        hosts: owned(hosts),
        ..route("/{rest...}")
    };
    let mut any = on(&[]);
    any.path = "/a".to_owned();
    let table = build(&[
        any,
        on(&["*.org"]),
        on(&["*.Example.org."]),
        on(&["api.example.org", "localhost"]),
    ]);
    for (host, expected) in [
        ("api.example.org", Some(3)),
        ("localhost", Some(3)),
        ("b.example.org", Some(2)),
        ("c.b.example.org", Some(2)),
        ("example.org", Some(1)),
        ("org", Some(0)),
        (".org", Some(0)),
        ("xorg", Some(0)),
        ("", Some(0)),
    ] {
        let outcome = expected.map_or(Outcome::NotFound, Outcome::Found);
        assert_eq!(table.find(&get(host, "/a")), outcome, "{host}");
    }
    assert_eq!(table.find(&get("org", "/b")), Outcome::NotFound);
    let endless = "a.".repeat(5000) + "org";
    assert_eq!(table.find(&get(&endless, "/a")), Outcome::Found(0));
}

#[test]
fn request_hosts_are_brought_into_their_matched_form() {
    for (host, expected) in [
        ("API.Example.COM:8080", "api.example.com"),
        ("a.b.", "a.b"),
        ("a.b.:80", "a.b"),
        ("a:", "a"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
    ] {
        assert_eq!(canonical_host(host), expected);
    }
}

#[test]
fn a_wrong_method_is_told_from_no_route() {
    let with = |path: &str, methods: &[&str]| RouteSpec {
        methods: owned(methods),
        ..route(path)
    };
    let table = build(&[
        with("/a", &["GET"]),
        with("/{x}", &["POST", "BREW"]),
        with("/b", &["PUT"]),
    ]);
    let ask = |method: &'static str, path| {
        let mut request = get("", path);
        request.method = method.as_bytes();
        let allowed = table.allowed(&request).collect::<Vec<_>>().join(", ");
        (table.find(&request), allowed)
    };
    assert_eq!(ask("GET", "/a").0, Outcome::Found(0));
    assert_eq!(ask("HEAD", "/a").0, Outcome::Found(0));
    assert_eq!(ask("BREW", "/a").0, Outcome::Found(1));
    let (outcome, allowed) = ask("DELETE", "/a");
    assert_eq!(outcome, Outcome::MethodNotAllowed);
    assert_eq!(allowed, "BREW, GET, HEAD, POST");
    assert_eq!(ask("get", "/a").0, Outcome::MethodNotAllowed);
    assert_eq!(ask("DELETE", "/a/b").0, Outcome::NotFound);
}

#[test]
fn predicates_choose_among_routes_of_one_path() {
    let canary = Predicate {
        name: "X-Canary".to_owned(),
        test: Test::Exact("always".to_owned()),
    };
    let second = Predicate {
        name: "v".to_owned(),
        test: Test::Prefix("2 ".to_owned()),
    };
    let by_header = RouteSpec {
        headers: vec![canary],
        ..route("/a")
    };
    let by_query = RouteSpec {
        query: vec![second],
        ..route("/a")
    };
    let table = build(&[route("/a"), by_query, by_header]);
    let ask = |fields: &[(&'static [u8], &'static [u8])], query: &'static str| {
        let request = Request {
            method: b"GET",
            host: b"",
            path: b"/a",
            query: query.as_bytes(),
            fields: fields.iter().copied(),
        };
        table.find(&request)
    };
    assert_eq!(ask(&[], ""), Outcome::Found(0));
    assert_eq!(ask(&[(b"x-canary", b"always")], ""), Outcome::Found(2));
    assert_eq!(
        ask(&[(b"x-canary", b"no"), (b"X-CANARY", b"always")], ""),
        Outcome::Found(2)
    );
    assert_eq!(ask(&[(b"x-canary", b"Always")], ""), Outcome::Found(0));
    assert_eq!(ask(&[], "w=1&%76=2%20x"), Outcome::Found(1));
    assert_eq!(ask(&[], "v=2+x"), Outcome::Found(0));
    assert_eq!(ask(&[], "v=2%2"), Outcome::Found(0));
    assert_eq!(ask(&[], "v"), Outcome::Found(0));
}

#[test]
fn absent_and_present_look_at_names_only() {
    let test = |test| Predicate {
        name: "a".to_owned(),
        test,
    };
    let fields = || [(&b"A"[..], &b""[..])].into_iter();
    assert!(test(Test::Present).holds_for_fields(fields()));
    assert!(!test(Test::Absent).holds_for_fields(fields()));
    assert!(test(Test::Present).holds_for_query(b"b&a"));
    assert!(test(Test::Absent).holds_for_query(b"A=1&&b"));
    assert!(test(Test::Exact(String::new())).holds_for_query(b"a="));
}

#[test]
fn explain_names_every_candidate_once_and_best_first() {
    let twice = RouteSpec {
        hosts: owned(&["*.org", "example.org"]),
        ..route("/{x}")
    };
    let by_header = RouteSpec {
        headers: vec![Predicate {
            name: "X-A".to_owned(),
            test: Test::Present,
        }],
        ..route("/a")
    };
    let post = RouteSpec {
        methods: owned(&["POST"]),
        ..route("/a")
    };
    let table = build(&[route("/{r...}"), post, by_header, twice, route("/b")]);
    let verdicts: Vec<String> = table
        .explain(&get("example.org", "/a"))
        .iter()
        .map(|candidate| format!("{} {}", candidate.route, candidate.verdict))
        .collect();
    assert_eq!(
        verdicts,
        ["3 wins", "1 method", "2 header X-A", "0 shadowed"]
    );
}

#[test]
fn captures_are_spelt_as_in_the_path() {
    let table = table(&["/{a}/x/{b}/{rest...}"]);
    let captures = |path: &'static str| -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let captured = table.captures(0, path.as_bytes());
        captured
            .map(|(name, value)| (name.to_owned(), text(value)))
            .collect()
    };
    let expected = |rest: &str| {
        [("a", "1"), ("b", "%C3%A9"), ("rest", rest)].map(|(n, v)| (n.to_owned(), v.to_owned()))
    };
    assert_eq!(captures("/1/x/%C3%A9"), expected(""));
    assert_eq!(captures("/1/x/%C3%A9/"), expected(""));
    assert_eq!(captures("/1/x/%C3%A9/c/d/"), expected("c/d/"));
}

#[test]
fn literals_are_brought_into_canonical_spelling() {
    let table = table(&["/café au lait/%7e|"]);
    assert_route(&table, "/caf%C3%A9%20au%20lait/~%7C", Some(0));
}

#[test]
fn mistakes_are_named_with_their_place() {
    let wrong = |spec: RouteSpec| {
        let error = RouteTable::build(&[route("/"), spec], EncodedSlashes::Reject);
        error.unwrap_err().to_string()
    };
    for (path, expected) in [
        ("a", "routes[1].path: 'a' does not begin with '/'"),
        (
            "/{a...}/b",
            "routes[1].path: '{a...}' must be the last segment",
        ),
        ("/{a}/{a}", "routes[1].path: the parameter 'a' occurs twice"),
        ("/{}", "routes[1].path: '{}' is not a parameter"),
        (
            "/a{b}",
            "routes[1].path: 'a{b}': a parameter is a whole segment",
        ),
        ("/a//b", "routes[1].path: '' never occurs"),
        ("/a/./b", "routes[1].path: '.' never occurs"),
        (
            "/..",
            "routes[1].path: '..' cannot be part of a path: above_root",
        ),
        ("/a?b", "routes[1].path: 'a?b': a path has no query"),
        (
            "/%2F",
            "routes[1].path: '%2F' cannot be part of a path: encoded_slash",
        ),
    ] {
        let message = wrong(route(path));
        assert!(message.starts_with(expected), "{message}");
    }
    for host in [
        "",
        "*",
        "a.*",
        "*.",
        "a b",
        "a:80",
        ".a",
        "*..a",
        &"a".repeat(254),
    ] {
        let mut spec = route("/");
        spec.hosts = owned(&["ok", host]);
        assert!(wrong(spec).starts_with("routes[1].hosts[1]: "), "{host}");
    }
    let mut spec = route("/");
    spec.methods = owned(&["GET", "G T"]);
    assert!(wrong(spec).starts_with("routes[1].methods[1]: 'G T' is not a method"));
    assert!(wrong(route(&"/a".repeat(33))).contains("more than 32 segments"));
    assert!(wrong(route(&format!("/{}", "a".repeat(1024)))).contains("longer than 1024 bytes"));
}

/// A pattern's match, told by segments and without a trie.
fn matches(pattern: &str, path: &str) -> bool {
    let wanted: Vec<&str> = pattern[1..].split('/').collect();
    let given: Vec<&str> = path[1..].split('/').collect();
    let (fixed, has_rest) = match wanted.split_last() {
        Some((last, fixed)) if last.ends_with("...}") => (fixed, true),
        _ => (&wanted[..], false),
    };
    let enough = if has_rest {
        given.len() >= fixed.len()
    } else {
        given.len() == fixed.len()
    };
    let same = |(wanted, given): (&&str, &&str)| {
        wanted == given || (wanted.starts_with('{') && !given.is_empty())
    };
    enough && fixed.iter().zip(&given).all(same)
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "abc", "{}"]);
    let last = prop::sample::select(vec!["", "/", "/{r...}"]);
    (prop::collection::vec(segment, 0..5), last).prop_map(|(segments, last)| {
        let numbered = segments.iter().enumerate().map(|(index, segment)| {
            format!("/{}", segment.replace("{}", &format!("{{p{index}}}")))
        });
        let path: String = numbered.chain([last.to_owned()]).collect();
        if path.is_empty() {
            "/".to_owned()
        } else {
            path
        }
    })
}

proptest! {
    #[test]
    fn the_trie_finds_what_a_linear_search_finds(
        patterns in prop::collection::vec((pattern(), -1i64..2), 1..24),
        path in "(/(a|b|ab|abc|c)){0,5}/?",
    ) {
        let path = if path.is_empty() { "/" } else { &path };
        let specs: Vec<RouteSpec> = patterns
            .iter()
            .map(|(path, priority)| RouteSpec { priority: *priority, ..route(path) })
            .collect();
        let table = build(&specs);
        let mut expected: Vec<usize> =
            (0..specs.len()).filter(|&index| matches(&specs[index].path, path)).collect();
        let shape = |path: &str| -> Vec<u8> {
            let kind = |segment: &str| u8::from(segment.starts_with('{'))
                + u8::from(segment.ends_with("...}"));
            path[1..].split('/').map(kind).collect()
        };
        expected.sort_by_key(|&index| (-specs[index].priority, shape(&specs[index].path), index));
        let found: Vec<usize> =
            table.explain(&get("", path)).iter().map(|candidate| candidate.route).collect();
        prop_assert_eq!(&found, &expected);
        let winner = expected.first().map_or(Outcome::NotFound, |&route| Outcome::Found(route));
        prop_assert_eq!(table.find(&get("", path)), winner);
    }
}

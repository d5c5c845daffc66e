use std::io::Read as _;

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    IF_NONE_MATCH, LOCATION, RANGE,
};
use http::{Method, StatusCode};

use super::{ASSETS, answer, claims, names_its_content, takes_gzip};

fn asking(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
}

fn get(path: &str, pairs: &[(http::HeaderName, &str)]) -> http::Response<bytes::Bytes> {
    answer(&Method::GET, path, &asking(pairs))
}

#[test]
fn start_page_is_html_that_may_load_its_own_files_alone() {
    let page = get("/portal/", &[]);
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(page.headers()[CACHE_CONTROL], "no-cache");
    assert!(page.body().starts_with(b"<!doctype html>"));
    let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    for part in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for name in ["x-content-type-options", "referrer-policy", "permissions-policy"] {
        assert!(page.headers().contains_key(name), "{name}");
    }
    assert_eq!(get("/portal/index.html", &[]).body(), page.body());
    let bare = get("/portal", &[]);
    assert_eq!(
        (bare.status(), &bare.headers()[LOCATION]),
        (StatusCode::PERMANENT_REDIRECT, &"/portal/".parse().unwrap())
    );
}

#[test]
fn file_that_the_client_holds_is_not_sent_again() {
    let etag = get("/portal/", &[]).headers()[ETAG].to_str().unwrap().to_owned();
    for (held, status) in [
        (etag.clone(), StatusCode::NOT_MODIFIED),
        (format!("\"other\", W/{etag}"), StatusCode::NOT_MODIFIED),
        ("*".to_owned(), StatusCode::NOT_MODIFIED),
        ("\"other\"".to_owned(), StatusCode::OK),
        (etag.trim_matches('"').to_owned(), StatusCode::OK),
    ] {
        let page = get("/portal/", &[(IF_NONE_MATCH, &held)]);
        assert_eq!(page.status(), status, "{held}");
        assert_eq!(page.body().is_empty(), status == StatusCode::NOT_MODIFIED, "{held}");
    }
}

#[test]
fn compressed_page_unpacks_to_the_plain_one() {
    let plain = get("/portal/", &[]);
    let packed = get("/portal/", &[(ACCEPT_ENCODING, "br, gzip;q=0.8")]);
    assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&packed.body()[..]).read_to_end(&mut text).unwrap();
    assert_eq!(text[..], plain.body()[..]);
    for (codings, taken) in
        [("gzip;q=0", false), ("identity", false), ("*", true), ("GZIP", true), ("gzip;q=x", false)]
    {
        assert_eq!(takes_gzip(&asking(&[(ACCEPT_ENCODING, codings)])), taken, "{codings}");
    }
}

#[test]
fn path_that_leads_elsewhere_finds_nothing() {
    for path in [
        "/portal/../Cargo.toml",
        "/portal/..%2fCargo.toml",
        "/portal/%2e%2e/Cargo.toml",
        "/portal//index.html",
        "/portal//etc/passwd",
        "/portal/./index.html",
        "/portal/assets/",
        "/portal/INDEX.html",
        "/portal/index.html\0",
    ] {
        let page = get(path, &[]);
        assert_eq!(page.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(page.headers().contains_key(CONTENT_SECURITY_POLICY), "{path}");
    }
}

#[test]
fn page_is_read_only_and_whole() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
        let refused = answer(&method, "/portal/", &HeaderMap::new());
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    let head = answer(&Method::HEAD, "/portal/", &HeaderMap::new());
    assert_eq!((head.status(), head.body().len()), (StatusCode::OK, 0));
    assert!(head.headers().contains_key(ETAG));
    let part = get("/portal/", &[(RANGE, "bytes=0-3")]);
    assert_eq!(
        part.status(),
        StatusCode::OK,
        "ranges are not served: the whole file is a right answer to one"
    );
}

#[test]
fn name_with_a_hash_is_kept_for_ever_and_no_other() {
    for (path, immutable) in [
        ("assets/index-B7x0aQ2c.js", true),
        ("assets/inter-latin-400-C38fXH4l.woff2", true),
        ("assets/index.js", false),
        ("assets/index-short.js", false),
        ("index-B7x0aQ2c.js", false),
    ] {
        assert_eq!(names_its_content(path), immutable, "{path}");
    }
}

#[test]
fn every_embedded_file_is_served_with_its_type() {
    assert!(ASSETS.contains_key("index.html"));
    assert_eq!(ASSETS.len(), super::Dist::iter().count(), "a file in dist/ has no content type");
    for path in ASSETS.keys() {
        assert_eq!(get(&format!("/portal/{path}"), &[]).status(), StatusCode::OK, "{path}");
    }
}

#[test]
fn portal_claims_its_own_paths_alone() {
    for (path, ours) in [("/portal", true), ("/portal/x/y", true), ("/portals", false), ("/", false)] {
        assert_eq!(claims(path), ours, "{path}");
    }
}

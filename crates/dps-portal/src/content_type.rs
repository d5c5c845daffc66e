//! What a file is, by the end of its name. Must not know what is in it.

/// The media type of a file of the portal; none of a file that the portal has no use for.
pub fn of(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json; charset=utf-8",
        "webmanifest" => "application/manifest+json; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// Is it worth compressing? Images and fonts are compressed already.
pub fn is_text(content_type: &str) -> bool {
    content_type.ends_with("charset=utf-8") || content_type == "image/svg+xml"
}

//! How long an answer is, and whether it is a good one.

/// More header fields than any measured proxy sends.
const MAX_FIELDS: usize = 64;

#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// More bytes are needed.
    Partial,
    /// One whole answer and nothing behind it. `closes`: the peer ends the connection after it.
    Whole { status: u16, closes: bool },
    /// Not HTTP/1.1, no Content-Length, or bytes behind the answer.
    Malformed,
}

/// Reads the answer to the one request in flight. Only Content-Length framing: the upstream sends
/// nothing else, so a proxy that re-frames its answer is shown as malformed, not measured.
pub fn read(bytes: &[u8]) -> Answer {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let head_len = match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Answer::Partial,
        Err(_) => return Answer::Malformed,
    };
    let (Some(status), Some(body_len)) = (head.code, content_length(head.headers)) else {
        return Answer::Malformed;
    };
    match (bytes.len() - head_len).cmp(&body_len) {
        std::cmp::Ordering::Less => Answer::Partial,
        std::cmp::Ordering::Greater => Answer::Malformed,
        std::cmp::Ordering::Equal => Answer::Whole {
            status,
            closes: closes(head.headers),
        },
    }
}

fn content_length(fields: &[httparse::Header]) -> Option<usize> {
    let field = fields
        .iter()
        .find(|f| f.name.eq_ignore_ascii_case("content-length"))?;
    std::str::from_utf8(field.value).ok()?.trim().parse().ok()
}

fn closes(fields: &[httparse::Header]) -> bool {
    fields.iter().any(|f| {
        f.name.eq_ignore_ascii_case("connection") && f.value.eq_ignore_ascii_case(b"close")
    })
}

#[cfg(test)]
mod tests {
    use super::{read, Answer};

    #[test]
    fn whole() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        assert_eq!(
            read(bytes),
            Answer::Whole {
                status: 200,
                closes: false
            }
        );
    }

    #[test]
    fn every_prefix_is_partial() {
        let bytes = b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Answer::Partial, "{end}");
        }
        assert_eq!(
            read(bytes),
            Answer::Whole {
                status: 503,
                closes: true
            }
        );
    }

    #[test]
    fn what_cannot_be_measured_is_malformed() {
        assert_eq!(
            read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Answer::Malformed
        );
        assert_eq!(
            read(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"),
            Answer::Malformed
        );
        assert_eq!(read(b"SSH-2.0-x\r\n"), Answer::Malformed);
    }
}

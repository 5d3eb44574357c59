//! The path: whoever may read one project gets at nothing else, whatever the server behind the gateway makes of the path.

use super::{
    faces::{Held, Said, ask_all},
    world::READER,
};

/// What the bytes are: the target of a GET.
pub fn holds(target: &[u8]) {
    let authorization = format!("Bearer {READER}");
    let held = Held { method: "GET", target, authorization: &[authorization.as_bytes()], ..Held::default() };
    let said: Vec<Said> = ask_all(held).into_iter().flatten().collect();
    for (index, one) in said.iter().enumerate() {
        assert!(!said.iter().any(|other| one.contradicts(other)), "face {index} decides otherwise: {said:?}");
    }
    if said.iter().any(Said::allows) {
        for reading in readings(target) {
            assert!(is_of_the_website(&reading), "allowed, and a server may read {reading:?}");
        }
    }
}

/// Whether it is an ordinary part of the project, or the list of projects; and nothing that a GET changes.
fn is_of_the_website(segments: &[String]) -> bool {
    const SET_APART: [&str; 10] = [
        "secrets",
        "sshkeys",
        "ssh-keys",
        "ssh_keys",
        "tokens",
        "vault",
        "collaborators",
        "cronjobs",
        "cron-jobs",
        "cron_jobs",
    ];
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["api", "v1", "projects"] | ["api", "v1", "projects", "website"] => true,
        ["api", "v1", "projects", "website", rest @ ..] => {
            let lower: Vec<String> = rest.iter().map(|segment| segment.to_lowercase()).collect();
            let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
            !SET_APART.contains(&lower[0])
                && !matches!(
                    lower.as_slice(),
                    [.., "restart" | "rerun" | "abort" | "trigger"] | [.., "cache", "clear"]
                )
        }
        _ => false,
    }
}

/// The segments that servers are known to make of a target: decoded more than once or not at all, cut at what may end a
/// path, with another separator, without parameters, with dots resolved.
fn readings(target: &[u8]) -> Vec<Vec<String>> {
    let mut readings = Vec::new();
    let mut text = target.to_vec();
    for decoded in 0..=3 {
        for ways in 0..16_u8 {
            let has = |way: u8| ways & (1 << way) != 0;
            let mut path = String::from_utf8_lossy(&text).into_owned();
            // What was encoded is data (RFC 3986 section 2.2), but for NUL, at which a program in C stops.
            let ends: &[char] = if decoded == 0 { &['?', '#', '\0'] } else { &['\0'] };
            if has(0) {
                path.truncate(path.find(ends).unwrap_or(path.len()));
            } else if decoded == 0 {
                path.truncate(path.find('?').unwrap_or(path.len()));
            }
            if has(1) {
                path = path.replace('\\', "/");
            }
            let segments = path.split('/').map(|segment| {
                let end = if has(2) { segment.find(';') } else { None };
                &segment[..end.unwrap_or(segment.len())]
            });
            let mut read: Vec<String> = Vec::new();
            for segment in segments {
                match segment.trim_matches(|c: char| has(3) && (c.is_whitespace() || c.is_control())) {
                    "" | "." => {}
                    ".." => drop(read.pop()),
                    other if has(3) => read.push(other.trim_end_matches('.').to_owned()),
                    other => read.push(other.to_owned()),
                }
            }
            // A server that does not decode has nothing of such a name.
            if decoded > 0 || !read.iter().any(|segment| segment.contains('%')) {
                readings.push(read);
            }
        }
        let end = if decoded == 0 { text.iter().position(|b| *b == b'?') } else { None };
        text = decoded_once(&text[..end.unwrap_or(text.len())]);
    }
    readings.sort_unstable();
    readings.dedup();
    readings
}

fn decoded_once(text: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(text).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            faces::{Held, Said, ask_all},
            world::READER,
        },
        is_of_the_website, readings,
    };

    #[test]
    fn the_website_is_read_and_a_server_that_reads_otherwise_would_be_noticed() {
        let authorization = format!("Bearer {READER}");
        let ask = |target: &str| {
            let (target, authorization) = (target.as_bytes(), &[authorization.as_bytes()]);
            ask_all(Held { method: "GET", target, authorization, ..Held::default() })
        };
        assert_eq!(ask("/api/v1/projects/website/builds?x=/../payroll"), [const { Some(Said::Allowed) }; 5]);
        assert!(ask("/api/v1/projects/payroll").iter().flatten().all(|said| !said.allows()));
        for target in [
            "/api/v1/projects/website/../payroll",
            "/api/v1/projects/website/%2e%2e/payroll",
            "/api/v1/projects/website/%252e%252e/payroll",
            "/api/v1/projects/website%2f..%2fpayroll",
            "/api/v1/projects/website\\..\\payroll",
            "/api/v1/projects/website/..;x/payroll",
            "/api/v1/projects/website/.. /payroll",
            "/api/v1/projects/website/Tokens.",
            "/api/v1/projects/website/builds/1/restart%00",
        ] {
            assert!(readings(target.as_bytes()).iter().any(|read| !is_of_the_website(read)), "{target}");
        }
        for target in
            ["/api/v1/projects/website/builds?x=/../payroll", "/api/v1/projects", "//api/v1/projects/"]
        {
            assert!(readings(target.as_bytes()).iter().all(|read| is_of_the_website(read)), "{target}");
        }
    }
}

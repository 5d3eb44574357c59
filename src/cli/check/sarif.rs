//! Findings as SARIF 2.1.0, the format that code-scanning services and editors read.
//!
//! Written by hand: the crate for it makes its types from the whole schema with a build script and two more
//! macro crates, for some twenty fields.

use std::{
    env,
    fmt::Write as _,
    io::{self, Write},
    path::Path,
};

use serde::Serialize;
use serde_json::{Value, json};

use super::{report::Report, word};
use crate::policy::check::{Code, Finding};

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Value,
    /// Columns count characters, not bytes.
    column_kind: &'static str,
    results: Vec<SarifResult>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: Code,
    rule_index: usize,
    level: &'static str,
    message: Value,
    locations: [Value; 1],
}

/// Writes one run.
pub(super) fn write(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let folder = env::current_dir()?;
    let log = Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: json!({"driver": {
                "name": "regate check",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": Code::ALL.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            }}),
            column_kind: "unicodeCodePoints",
            results: report.findings.iter().map(|finding| result(finding, &folder)).collect(),
        }],
    };
    serde_json::to_writer_pretty(&mut *output, &log)?;
    writeln!(output)
}

fn rule(code: Code) -> Value {
    json!({
        "id": code,
        "shortDescription": {"text": code.summary()},
        "fullDescription": {"text": code.help()},
        "help": {"text": code.explanation(), "markdown": code.explanation()},
        "defaultConfiguration": {"level": word(code.severity())},
    })
}

fn result(finding: &Finding, folder: &Path) -> SarifResult {
    let mut location = json!({"artifactLocation": {"uri": uri(&finding.file, folder)}});
    if let Some(place) = finding.place {
        location["region"] = json!({"startLine": place.line, "startColumn": place.column});
    }
    SarifResult {
        rule_id: finding.code,
        rule_index: Code::ALL.iter().position(|code| *code == finding.code).unwrap_or_default(),
        level: word(finding.severity()),
        message: json!({"text": finding.message}),
        locations: [json!({"physicalLocation": location})],
    }
}

/// Relative to the folder where the command runs, if the file is below it: services look it up in the repository.
fn uri(file: &str, folder: &Path) -> String {
    let path = Path::new(file);
    let relative = path.strip_prefix(folder).or_else(|_| path.strip_prefix(".")).unwrap_or(path);
    let mut uri = if relative.is_absolute() { "file://".to_owned() } else { String::new() };
    for byte in relative.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::uri;

    #[test]
    fn addresses_are_relative_where_they_can_be() {
        for (file, expected) in [
            ("policies/a.rego", "policies/a.rego"),
            ("./policies/a.rego", "policies/a.rego"),
            ("/checkout/policies/a b.rego", "policies/a%20b.rego"),
            ("/elsewhere/a.rego", "file:///elsewhere/a.rego"),
        ] {
            assert_eq!(uri(file, Path::new("/checkout")), expected);
        }
    }
}

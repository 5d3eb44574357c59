//! Names below `data` that a bundle must leave free.

use regorus::{CompiledPolicy, Value};

use super::CompileError;
use crate::decision::{DATABASE_DOCUMENTS, Document, mount::Mount};

pub(super) fn refuse_reserved_names(compiled: &CompiledPolicy, data: &Document) -> Result<(), CompileError> {
    for document in DATABASE_DOCUMENTS {
        let root = format!("data.{document}");
        let below = format!("{root}.");
        let rule = compiled.get_rules().keys().find(|path| **path == root || path.starts_with(&below));
        if let Some(rule) = rule {
            return Err(CompileError::ReservedDocument { place: format!("the rule {rule}"), document });
        }
        let defined = matches!(data, Value::Object(object) if object.contains_key(&document.into()));
        if defined {
            let place = format!("a data file that defines {document}");
            return Err(CompileError::ReservedDocument { place, document });
        }
    }
    Ok(())
}

pub(super) fn refuse_mounted_names(
    compiled: &CompiledPolicy,
    data: &Document,
    mounts: &[Mount],
) -> Result<(), CompileError> {
    let rules: Vec<Vec<&str>> = compiled
        .get_rules()
        .keys()
        .filter_map(|path| Some(path.strip_prefix("data.")?.split('.').collect()))
        .collect();
    for (index, mount) in mounts.iter().enumerate() {
        let collision = |place| Err(CompileError::Mounted { path: mount.path.to_string(), place });
        if let Some(other) = mounts.iter().take(index).find(|other| other.path.overlaps(&mount.path)) {
            return collision(format!("the document data.{}", other.path));
        }
        if let Some(rule) = rules.iter().find(|rule| mount.path.meets(rule)) {
            return collision(format!("the rule data.{}", rule.join(".")));
        }
        if mount.path.is_defined_in(data) {
            return collision("a data file of the policy folder".to_owned());
        }
    }
    Ok(())
}

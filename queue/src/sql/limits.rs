//! What a job may be at the most, checked before any work.

use crate::Error;
use crate::job::NewJob;

/// Attributes of one job.
const ATTRIBUTES: usize = 16;
/// Bytes of an attribute's name, and of its value.
const ATTRIBUTE_BYTES: usize = 256;

/// Refuses what is too large, or what PostgreSQL cannot keep.
pub(super) fn check(jobs: &[NewJob], max_payload_bytes: usize) -> Result<(), Error> {
    jobs.iter().try_for_each(|job| {
        let (size_bytes, max_bytes) = (job.payload.len(), max_payload_bytes);
        if size_bytes > max_bytes {
            return Err(Error::PayloadTooLarge { size_bytes, max_bytes });
        }
        attributes(&job.attributes)?;
        texts(job)
    })
}

/// Refuses a checkpoint, or a step's result, that is larger than a payload may be.
pub(super) fn check_kept(what: &str, text: &str, max_bytes: usize) -> Result<(), Error> {
    let size_bytes = text.len();
    if size_bytes > max_bytes {
        let why = format!("the {what} has {size_bytes} bytes, {max_bytes} are allowed");
        return Err(Error::Invalid(why));
    }
    Ok(())
}

fn attributes(all: &[(String, String)]) -> Result<(), Error> {
    if all.len() > ATTRIBUTES {
        let why = format!("the job has {} attributes, {ATTRIBUTES} are allowed", all.len());
        return Err(Error::Invalid(why));
    }
    for (name, value) in all {
        let shown: String = name.chars().take(40).collect();
        if name.is_empty() {
            return Err(Error::Invalid("an attribute has no name".to_owned()));
        }
        for (what, text) in [("name", name), ("value", value)] {
            if text.len() > ATTRIBUTE_BYTES {
                return Err(Error::Invalid(format!(
                    "the {what} of attribute `{shown}` has {} bytes, {ATTRIBUTE_BYTES} are allowed",
                    text.len()
                )));
            }
            if text.contains('\0') {
                return Err(Error::Invalid(format!("the {what} of an attribute has a NUL in it")));
            }
        }
    }
    Ok(())
}

fn texts(job: &NewJob) -> Result<(), Error> {
    let all = [
        ("kind", Some(&job.kind)),
        ("queue", Some(&job.queue)),
        ("lane", job.lane.as_ref()),
        ("principal", job.principal.as_ref()),
        ("trace", job.trace.as_ref()),
    ];
    match all.into_iter().find(|(_, text)| text.is_some_and(|text| text.contains('\0'))) {
        Some((what, _)) => Err(Error::Invalid(format!("the job's {what} has a NUL in it"))),
        None => Ok(()),
    }
}

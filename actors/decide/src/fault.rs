//! What the API server's refusals mean.

/// What kind of trouble a failed call to the API server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The object is not there.
    NotFound,
    /// An object of that name is there.
    AlreadyExists,
    /// The object has changed since it was read.
    Conflict,
    /// The watched version is too old to go on from.
    Expired,
    /// The request itself is wrong, and stays so until someone edits it.
    Invalid,
    /// The namespace is terminating: nothing can be created there ever again.
    Terminating,
    /// A quota leaves no room (yet).
    Quota,
    /// Refused by policy: rights, webhooks. Someone may change that.
    Refused,
    /// Makes no sense for the object as it is, such as the log of a container that never started.
    Senseless,
    /// An outage, overload or broken connection: the same call may go through later.
    Transient,
}

/// An answer of the API server that is no success, or none at all.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The HTTP status code; `None` when no answer came.
    pub code: Option<u16>,
    /// The Status object's `reason`.
    pub reason: &'a str,
    /// The Status object's `message`.
    pub message: &'a str,
    /// The `reason`s of the Status object's causes.
    pub causes: &'a [String],
}

/// Classifies an answer (codes and reasons:
/// <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#http-status-codes>).
#[must_use]
pub fn classify(answer: Answer<'_>) -> Class {
    // A policy or webhook is no fault of the object, and may change; it answers with any code.
    let by_admission = ["admission webhook", "ValidatingAdmissionPolicy"];
    if matches!(answer.code, Some(400..500)) && by_admission.iter().any(|who| answer.message.contains(who)) {
        return Class::Refused;
    }
    match answer.code {
        Some(404) => Class::NotFound,
        Some(409) if answer.reason == "AlreadyExists" => Class::AlreadyExists,
        Some(409) => Class::Conflict,
        Some(410) => Class::Expired,
        // The cluster was restored from a backup: the version asked for has not come yet.
        Some(504) if answer.message.contains("Too large resource version") => Class::Expired,
        Some(413 | 422) => Class::Invalid,
        // 400 is also what an API server says that can't serve a request; only a body that could
        // not be decoded is the user's to mend.
        Some(400) if answer.message.contains("strict decoding error") => Class::Invalid,
        Some(400) if answer.message.contains("cannot be handled as a Job") => Class::Invalid,
        Some(400) => Class::Senseless,
        Some(403) if answer.causes.iter().any(|cause| cause == "NamespaceTerminating") => Class::Terminating,
        Some(403) if answer.message.contains("exceeded quota") => Class::Quota,
        Some(401 | 403 | 405) => Class::Refused,
        _ => Class::Transient,
    }
}

/// The message of a refusal, but for what it may quote of the object, which holds what nobody else is to see: keys in the
/// words of the API server, values in those of an admission webhook.
#[must_use]
pub fn without_content(class: Class, code: u16, message: &str) -> String {
    const DENIED: [&str; 2] = ["denied the request", "denied request"];
    // A webhook answers with any code, such as 500.
    if let Some(end) = DENIED.iter().find_map(|word| Some(message.find(word)? + word.len())) {
        return message[..end].to_owned();
    }
    match class {
        Class::Invalid | Class::Senseless => format!("the API server does not take it (HTTP {code})"),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_class() {
        let class =
            |code, reason, message| classify(Answer { code: Some(code), reason, message, causes: &[] });
        for (code, reason, message, expected) in [
            (404, "NotFound", "", Class::NotFound),
            (409, "AlreadyExists", "", Class::AlreadyExists),
            (409, "Conflict", "", Class::Conflict),
            (410, "Expired", "", Class::Expired),
            (422, "Invalid", "Job.batch \"j\" is invalid", Class::Invalid),
            (422, "Invalid", "ValidatingAdmissionPolicy 'p' denied request", Class::Refused),
            (400, "BadRequest", "admission webhook \"w\" denied the request: no", Class::Refused),
            (422, "Invalid", "admission webhook \"w\" denied the request: no", Class::Refused),
            (400, "BadRequest", "strict decoding error: unknown field \"spec.x\"", Class::Invalid),
            (400, "BadRequest", "the server could not understand", Class::Senseless),
            (403, "Forbidden", "jobs.batch is forbidden: exceeded quota: q", Class::Quota),
            (403, "Forbidden", "denied by a webhook", Class::Refused),
            (429, "TooManyRequests", "", Class::Transient),
            (500, "InternalError", "", Class::Transient),
            (504, "Timeout", "", Class::Transient),
            (504, "Timeout", "Too large resource version: 9, current: 5", Class::Expired),
        ] {
            assert_eq!(class(code, reason, message), expected, "{code} {reason} {message}");
        }
    }

    #[test]
    fn silence_passes_and_a_terminating_namespace_does_not() {
        let silence = Answer { code: None, reason: "", message: "", causes: &[] };
        assert_eq!(classify(silence), Class::Transient);
        let causes = ["NamespaceTerminating".to_owned()];
        let terminating = Answer { code: Some(403), reason: "Forbidden", causes: &causes, ..silence };
        assert_eq!(classify(terminating), Class::Terminating);
    }

    #[test]
    fn what_a_refusal_quotes_is_not_passed_on() {
        let webhook = r#"admission webhook "x.example.com" denied the request: value "hunter2" is weak"#;
        for (class, code) in [(Class::Refused, 403), (Class::Transient, 500)] {
            let told = without_content(class, code, webhook);
            assert_eq!(told, r#"admission webhook "x.example.com" denied the request"#);
        }
        let invalid = r#"ConfigMap "out" is invalid: data[hunter2/]: Invalid value: "hunter2/""#;
        assert!(!without_content(Class::Invalid, 422, invalid).contains("hunter2"));
        let quota = "secrets \"out\" is forbidden: exceeded quota: few";
        assert_eq!(without_content(Class::Quota, 403, quota), quota);
    }
}

//! What users of ExtendedJob rely on, each test named as the fact it proves.

mod faults;
mod leaders;
mod lifecycle;
mod names;
mod once;
mod output;
mod policy;
mod refusals;
mod samples;
mod schema;
mod selectors;
mod status;
mod template;
mod triggers;

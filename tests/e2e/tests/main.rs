//! What users of ExtendedJob rely on, each test named as the fact it proves.

mod attempts;
mod brakes;
mod concurrency;
mod errand;
mod faults;
mod history;
mod job_kinds;
mod leaders;
mod ledger;
mod lifecycle;
mod names;
mod once;
mod output;
mod plugin;
mod policy;
mod refusals;
mod restarts;
mod samples;
mod schema;
mod selectors;
mod status;
mod suspend;
mod template;
mod triggers;

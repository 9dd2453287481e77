//! The custom resource `ExtendedJob`: its types, its schema, and the names it is known by.
//!
//! `spec` and `status` are what users write and read; `crd` turns them into the CustomResourceDefinition
//! that a cluster is given; `validate` says in Rust what that schema says in CEL, for objects stored before
//! the schema did. Nothing in this crate talks to a cluster.

pub mod conditions;
mod crd;
pub mod fields;
mod job_template;
pub mod names;
mod output;
mod output_key;
mod rules;
mod spec;
mod status;
mod target;
mod template_schema;
mod validate;

pub use crd::crd;
pub use job_template::{JobTemplate, Shape};
pub use output::{Format, Output, StreamOutput};
pub use output_key::{OUTPUT_KEY_MAX, Origin, OutputKey, Placeholder, is_key};
pub use spec::{ExtendedJob, ExtendedJobSpec, Operator, Requirement, Run, Selector, Triggers, When};
pub use status::{
    Cause, CauseType, ContainerEnd, ExtendedJobStatus, Mode, OutputResult, OutputStatus, RunResult,
    RunStatus, Stream, Streams,
};
pub use target::{Target, TargetKind};
pub use validate::{Problem, is_dns_label, validate};

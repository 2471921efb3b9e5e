//! `quickstart`.
#![allow(dead_code, reason = "the story is written beside this")]
mod service;

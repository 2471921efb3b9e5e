//! What the author of an FCP connector depends on.

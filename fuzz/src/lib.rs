//! Fuzz targets, replayed on committed corpora by an ordinary test.

mod lies;
mod mesh;
mod model;
mod reconcile;
mod revoke;

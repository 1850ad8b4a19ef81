//! Host of uWSGI-compatible plugins.

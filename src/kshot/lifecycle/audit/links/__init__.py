"""Links of an audit that one version is checked by, each in its own module."""

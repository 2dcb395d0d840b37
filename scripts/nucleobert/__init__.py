"""nucleobert: BERT models of DNA and RNA from public annotation. The library behind the workflow's scripts."""

__version__ = "0.1.0"

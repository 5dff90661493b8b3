"""One reader per input format: ``read(path, name, ...)`` yields a Post or a Rejected for everything it meets."""

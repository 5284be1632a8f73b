"""Commands on runs that are kept: ls, show, compare, tag, rm, prune, export, import."""

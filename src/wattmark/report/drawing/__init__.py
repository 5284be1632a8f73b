"""How figures are drawn: style, marks, charts."""

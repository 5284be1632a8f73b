"""What is to be measured: factors, levels, repeats, and the designs that ship."""

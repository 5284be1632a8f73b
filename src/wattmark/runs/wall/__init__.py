"""What a meter at the plug would say of a run, by a calibration of its machine. May import what ``runs`` may."""

"""Classification suite: accuracy and calibration on the unchanged images."""

"""The page: one HTML file, its charts, its images and `report.json`."""

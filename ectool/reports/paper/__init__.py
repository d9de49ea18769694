"""Figures for papers as PNG, SVG and PDF, and tables in LaTeX and Markdown."""

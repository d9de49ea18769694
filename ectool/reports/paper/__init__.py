"""For papers: figures as PNG, SVG and PDF, and tables in LaTeX and Markdown."""

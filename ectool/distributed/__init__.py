"""One command in several processes (ranks), on one or several machines, with torch.distributed."""

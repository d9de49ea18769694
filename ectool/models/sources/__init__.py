"""Where networks come from: ours, torchvision, timm, imports and exported programs."""

"""Mean and deviation of ImageNet's RGB values in [0, 1]: what the published models subtract and divide by."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

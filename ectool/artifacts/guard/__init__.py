"""Files of others are judged before a library or an allocation believes what they declare."""

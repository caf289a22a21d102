"""Half-open spans of hours, [start, end)."""


def merge(spans):
    """Return spans in order, those that overlap as one."""
    merged = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def gaps(spans, opens, closes):
    """Return what lies between spans in order."""
    found, at = [], opens
    for start, end in spans:
        if start >= at:
            found.append((at, start))
        at = max(at, end)
    if at <= closes:
        found.append((at, closes))
    return found

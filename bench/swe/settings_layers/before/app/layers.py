"""Settings in layers: what is above hides what is below, None takes a setting away."""


def overlay(below, above):
    """Return the settings of two layers."""
    result = below
    for key, value in above.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = overlay(result[key], value)
        else:
            result[key] = value
    return result

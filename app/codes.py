"""The codes of the errors that the service answers with; the client (fenestra/client) knows them, too."""

STATUS: dict[str, int] = {
    "bad_json": 400,
    "bad_request": 400,
    "unauthorized": 401,
    "not_found": 404,
    "learning_off": 404,
    "method_not_allowed": 405,
    "reload_failed": 409,
    "conflict": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid_request": 422,
    "invalid_unicode": 422,
    "unknown_or_duplicate_field": 422,
    "rate_limited": 429,
    "headers_too_large": 431,
    "internal": 500,
    "not_installed": 501,
    "overloaded": 503,
    "not_ready": 503,
    "timeout": 504,
}
"""HTTP status of each code."""

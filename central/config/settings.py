"""Settings of central; `environment` reads the variables, docs name them all.

Sources: docs.djangoproject.com/en/5.2/ref/settings, channels.readthedocs.io, django-csp.readthedocs.io.
"""

from pathlib import Path

from central.config import environment

DATA = Path(environment.text("DOORSTILE_DATA", "var/central"))
DEBUG = environment.switch("DOORSTILE_DEBUG")
SECRET_KEY = environment.secret_key(DATA)
AUDIENCE = environment.audience(SECRET_KEY)
ORIGINS = environment.words("DOORSTILE_ORIGINS")
"""Origins by which devices reach central besides that of the request itself, for a proxy that hides it."""

ALLOWED_HOSTS = environment.words("DOORSTILE_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = environment.words("DOORSTILE_ORIGINS")
DATABASES = {"default": environment.database(DATA)}
DATABASE_THREADS = environment.number(
    "DOORSTILE_DATABASE_THREADS", 1 if "sqlite3" in DATABASES["default"]["ENGINE"] else 8, least=1, most=64
)
"""Threads that work for devices; SQLite has one writer, so more of them would only wait for each other."""
CHANNEL_LAYERS = environment.channel_layers()
FLEET = environment.number("DOORSTILE_FLEET", 1, least=1, most=1_000_000)
"""How many devices may come back at once; with ACCEPT_RATE it sets the spread of their return."""
ACCEPT_RATE = environment.number("DOORSTILE_ACCEPT_RATE", 40, least=1, most=100_000)
"""Connections a second that central can open; the default is what one process on SQLite does on two slow cores."""

INSTALLED_APPS = [
    "central.devices",  # before Django's, whose createsuperuser it replaces
    "central.office",
    "central.office.administration.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "central.sync",
    "central.directory",
    "central.passes",
    "central.editions",
    "central.parts",
    "central.desk",
    "central.rotation",
    "central.checkins",
    "central.review",
    "central.presence",
    "central.whatif",
    "central.api",
    "central.dashboard",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "central.config.urls"
ASGI_APPLICATION = "central.config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "central.config.formats"
STATIC_URL = "static/"
# Files are served from where the packages keep them; there is no folder to collect them in.
WHITENOISE_USE_FINDERS = True
LOGIN_URL = "admin:login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

_IS_BEHIND_TLS = environment.switch("DOORSTILE_TLS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _IS_BEHIND_TLS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _IS_BEHIND_TLS else None
SECURE_HSTS_SECONDS = 31_536_000 if _IS_BEHIND_TLS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"bare_urls": {"()": "central.config.redaction.BareUrls"}},
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["bare_urls"]}},
    "root": {"handlers": ["console"], "level": environment.text("DOORSTILE_LOG_LEVEL", "WARNING")},
    "loggers": {
        "central": {"level": environment.text("DOORSTILE_LOG_LEVEL", "INFO")},
        "uvicorn": {"handlers": [], "level": "INFO", "propagate": True},
        # Every handshake and request is one line of these two, with its query; ours says more and no secrets.
        "uvicorn.error": {"level": "WARNING"},
        "uvicorn.access": {"handlers": [], "level": "WARNING", "propagate": True},
    },
}

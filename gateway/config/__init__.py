"""Configuration: read → validate → compile. See ``load`` and ``compile.compile_plan``."""

from gateway.config.load import Loaded, load
from gateway.config.problems import ConfigError, Problem
from gateway.config.schema import Config

__all__ = ["Config", "ConfigError", "Loaded", "Problem", "load"]

"""Training an avatar on a capture, as MultiFace does."""

from esca.training.config import TrainConfig
from esca.training.data import TrainingData
from esca.training.train import train
from esca.training.trainer import Trainer

__all__ = ["TrainConfig", "Trainer", "TrainingData", "train"]

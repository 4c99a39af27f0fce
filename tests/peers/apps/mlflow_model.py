"""An MLflow pyfunc: `python mlflow_model.py FOLDER` saves it there, for `mlflow models serve`."""

import sys

import mlflow.pyfunc
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema


class Sentiment(mlflow.pyfunc.PythonModel):
    """The model, over a column of texts."""

    def predict(self, context, model_input, params=None):
        """One row for each row; the score grows with the parameter `bonus`."""
        from scoring import score

        if not isinstance(model_input, pd.DataFrame):
            model_input = pd.DataFrame({"text": list(model_input)})
        rows = [score(text) for text in model_input["text"]]
        bonus = (params or {}).get("bonus", 0.0)
        return pd.DataFrame([{**row, "score": row["score"] + bonus} for row in rows])


if __name__ == "__main__":
    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "text")]),
        params=ParamSchema([ParamSpec("bonus", "double", 0.0)]),
    )
    mlflow.pyfunc.save_model(
        sys.argv[1],
        python_model=Sentiment(),
        signature=signature,
        code_paths=[str(__import__("pathlib").Path(__file__).with_name("scoring.py"))],
        pip_requirements=["mlflow"],
    )

"""Can a registered model be built again? Its stages run once more from what was recorded; the results are compared."""

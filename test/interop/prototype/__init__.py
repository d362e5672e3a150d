__all__ = ['ttypes', 'constants', 'AllianceService']

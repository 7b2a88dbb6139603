"""Operations: what each method means, and handing its tasks out."""

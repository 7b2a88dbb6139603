"""Sources of reference images: folders, tables, sites, crawls."""

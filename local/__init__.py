"""A local Azure for laptops and tests: the unmodified Azure SDKs cannot tell that it is not the real one."""

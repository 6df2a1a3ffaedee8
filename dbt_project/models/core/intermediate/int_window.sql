-- The hours whose work the tables of one run (base_*, int_*) hold, for tests that run later than the models.
select {{ window_start() }} as window_start, {{ window_end() }} as window_end

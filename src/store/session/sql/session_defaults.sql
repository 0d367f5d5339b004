-- How transactions begin for this role. Where each stands for itself, nothing can change that: the settings are made by
-- its first statement, and then it is too late.
select current_setting('transaction_isolation') as isolation, current_setting('transaction_read_only') = 'on' as is_read_only

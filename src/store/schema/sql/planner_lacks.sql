-- Why the planner cannot work with the app's tables; empty: it can.
select punctual.planner_lacks()

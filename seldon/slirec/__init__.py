"""SLi-Rec: from a shop's inventory to a served sequential model, one module a step."""

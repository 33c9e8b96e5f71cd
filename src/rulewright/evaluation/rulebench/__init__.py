"""RuleBench: does a written rule hold on the next file?"""

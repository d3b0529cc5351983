import time, os, pytest
@pytest.mark.parametrize("n",[1,2])
def test_hang(shared_valkey, shared_valkey_sentinel, shared_postgres, n):
    import services_keeper
    open(f"/tmp/svcexp/w/ready{n}","w").write(str(services_keeper.keeper().folder))
    time.sleep(60)

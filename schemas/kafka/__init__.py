"""
The one place that speaks to a broker: nothing else imports a Kafka client (the lane speaks through Faust's).

    connection     how the broker is reached, how clients are set up, what to say when nobody answers
    partitions     what a partition is called
    offsets        where partitions begin, end, and stand at a time;  topic_list: which topics there are
    reader         reading partitions forward without a group, with what is `fetched`; `read_topic` from here to there
    group          reading as one of a group, sure of its partitions for as long as a lease runs
    group_offsets  how far a group has got
    writer         writing, and knowing that it is written
    assigning      which process of a group gets which partitions
    batches        reading what a publisher's software wrote, whatever it is; `install` it where a process begins
    group_answers  a refusal to say how far a group has got is no `nothing`; installed with `batches`
    unpacking      what is in a compressed batch, if it is not too much
    consumer       how aiokafka's consumer is made, started and ended: for the modules beside it alone
    admin          making topics with librdkafka;  in_memory: the broker that librdkafka carries
"""
